"""What a warehouse does with tables, step by step, in SQL that every database understands."""
