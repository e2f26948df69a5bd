"""What every loss and every removal mechanism must satisfy: add yours to the list and the suite examines it."""
