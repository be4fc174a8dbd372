"""Topics as typed tables: for Parquet files and for data frames. Needs the extra `tables` (pyarrow)."""
