// For a host that is linked with a library.
struct Library;
extern "C" const Library library;

const Library* linked_library() {
    return &library;
}
