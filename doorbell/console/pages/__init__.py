"""What the pages answer: an endpoint each, listed in ``doorbell.console.routes``."""
