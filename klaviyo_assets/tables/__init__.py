"""What a row of each table is: pure mapping from documents to rows, no I/O."""
