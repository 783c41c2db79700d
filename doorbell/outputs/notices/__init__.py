"""What the notifier is to tell: kept until it has it, with answers that only we can have made."""
