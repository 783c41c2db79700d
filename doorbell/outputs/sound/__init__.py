"""What sounds: chimes and announcements inside, and what is said at the door."""
