"""Pictures: files to pixels, boxes and names drawn into pixels."""
