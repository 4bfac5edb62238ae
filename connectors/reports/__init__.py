"""Quality reports: findings read and added up, and written as JSON, CSV, XLSX, HTML or SARIF."""
