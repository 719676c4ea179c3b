#pragma once

#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

// A reader of JSON that is strict: what is none throws.

namespace support {

struct Json {
    std::string text;  ///< of a string; else as it was written
    std::map<std::string, Json> members;
    std::vector<Json> elements;

    const Json& operator[](const std::string& name) const { return members.at(name); }
    double number() const { return std::strtod(text.c_str(), nullptr); }

    static Json parse(std::string_view bytes) {
        Json value;
        read(bytes, value);
        if (!bytes.empty()) throw std::runtime_error{"more behind the value"};
        return value;
    }

private:
    static void expect(std::string_view& in, char letter) {
        if (in.empty() || in.front() != letter) throw std::runtime_error{"no " + std::string{letter}};
        in.remove_prefix(1);
    }
    static bool take(std::string_view& in, char letter) {
        if (in.empty() || in.front() != letter) return false;
        in.remove_prefix(1);
        return true;
    }
    static std::string read_string(std::string_view& in) {
        std::string text;
        expect(in, '"');
        while (!take(in, '"')) {
            if (in.empty() || static_cast<unsigned char>(in.front()) < 0x20) throw std::runtime_error{"a raw control"};
            if (take(in, '\\')) {
                if (in.starts_with("u003c")) {
                    text += '<';
                    in.remove_prefix(5);
                    continue;
                }
                if (in.empty() || (in.front() != '"' && in.front() != '\\')) throw std::runtime_error{"an odd escape"};
            }
            text += in.front();
            in.remove_prefix(1);
        }
        return text;
    }
    static void read(std::string_view& in, Json& value) {
        if (take(in, '{')) {
            if (take(in, '}')) return;
            do {
                const std::string name = read_string(in);
                expect(in, ':');
                if (value.members.contains(name)) throw std::runtime_error{"twice: " + name};
                read(in, value.members[name]);
            } while (take(in, ','));
            return expect(in, '}');
        }
        if (take(in, '[')) {
            if (take(in, ']')) return;
            do read(in, value.elements.emplace_back());
            while (take(in, ','));
            return expect(in, ']');
        }
        if (in.starts_with('"')) {
            value.text = read_string(in);
            return;
        }
        const std::size_t end = std::min(in.find_first_of(",]}"), in.size());
        value.text = in.substr(0, end);
        in.remove_prefix(end);
        char* number_end = nullptr;
        static_cast<void>(std::strtod(value.text.c_str(), &number_end));
        const bool is_number = !value.text.empty() && *number_end == '\0';
        if (!is_number && value.text != "true" && value.text != "false" && value.text != "null")
            throw std::runtime_error{"no value: " + value.text};
    }
};

}  // namespace support
