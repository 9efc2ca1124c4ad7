"""Tries on a real database what this project promises of it: `klaviyo-assets verify-warehouse`."""
