"""What a process or a model holds, taken and put back; the only context managers that do so."""
