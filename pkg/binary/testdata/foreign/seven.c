int seven(void) { return 7; }
int start(void) { return 0; }
