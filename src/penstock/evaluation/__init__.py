"""What can be measured of texts, and of models that foretell and write them."""
