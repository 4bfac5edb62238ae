"""Records in other forms than JSON, and files of them made ready; one module per noun."""
