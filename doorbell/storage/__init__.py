"""Files and databases that outlive a kill and a power cut, for their owner alone."""
