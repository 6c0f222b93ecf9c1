struct shape { virtual ~shape(); virtual int area() const; };
shape::~shape() {}
int shape::area() const { return 3; }
extern "C" int seven(void) { return 7; }
extern "C" int other(void);
extern "C" int eight(void) { return other() + 1; }
namespace { int hid(int x) { return x + 1; } }
int use(int x) { return hid(x); }
extern "C" __attribute__((weak)) int feeble(void) { return 0; }
