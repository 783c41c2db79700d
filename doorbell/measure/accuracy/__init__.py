"""How well people are recognized, measured on labelled pictures and videos of anybody's own."""
