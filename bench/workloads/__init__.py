"""One file per workload; ../README.md says what such a file exports."""
