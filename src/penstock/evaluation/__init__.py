"""What can be measured of texts. Pure functions; knows no models."""
