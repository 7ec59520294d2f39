"""Find the workflow in a file of any kind: pictures, videos, sounds, meshes, models and JSON."""
