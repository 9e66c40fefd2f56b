"""The lens that moves: what its positions mean, how drivers are told, when it stands still."""
