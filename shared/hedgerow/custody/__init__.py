"""Who holds what: vectors, holes, skips, receipts, and the digests that compare them."""
