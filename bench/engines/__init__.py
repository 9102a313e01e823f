"""One file per engine; ../README.md says what such a file exports."""
