"""The output that speaks to an MQTT broker, and through it to Home Assistant."""
