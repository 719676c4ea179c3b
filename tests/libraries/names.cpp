// The names in library.cpp, for one LIBRARY.
extern "C" {
__attribute__((visibility("hidden"))) extern const char library_name[];
__attribute__((visibility("hidden"))) extern const char strip_name[];
const char library_name[] = LIBRARY;
const char strip_name[] = "Strip of " LIBRARY;
}
