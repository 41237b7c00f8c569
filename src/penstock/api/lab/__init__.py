"""The lab: one step of decoding under the lens."""
