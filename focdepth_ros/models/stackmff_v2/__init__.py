"""StackMFF-V2, the light fusion network: published, and as this package trains it."""
