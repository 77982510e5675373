"""Input of people, validated."""
