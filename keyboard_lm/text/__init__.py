"""What text is: the form that the model reads, letters without case, what a word is made of."""
