"""Files that are read and written: images, point clouds, results, YAML; whole or not at all."""
