"""The roles of a store in SQL, one file each; `SqlStore` is all of them."""
