"""What the report reads, counts and draws, section by section, and the page that shows it."""
