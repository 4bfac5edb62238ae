"""Access receipts: who read which record, when, by which route, under which authorization."""
