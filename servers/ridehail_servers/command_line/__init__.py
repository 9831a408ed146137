"""The `ridehail` command, one module a group of subcommands."""
