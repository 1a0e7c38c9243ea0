"""Archives: folders and buckets that are visited again and again, so that what is new in them is screened."""
