"""What the commands share: their options, what they show, and how their mistakes end."""
