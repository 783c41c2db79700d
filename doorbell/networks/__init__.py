"""The networks written as code, and how published weights are read into them."""
