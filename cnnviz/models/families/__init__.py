"""The published networks, one file a family. Importing a file enters its networks in the catalogue."""
