// For a host that opens its libraries.
struct Library;

const Library* linked_library() {
    return nullptr;
}
