"""The campaign that breaks things on purpose and checks what the suite promises."""
