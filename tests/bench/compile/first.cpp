// The first program of the README.
#include <complex>
#include <distwork/program.hpp>
#include <iostream>
#include <ranges>
#include <string>

std::string render(int row) {  // a line of the picture
    std::string line;
    for (int column = 0; column < 60; ++column) {
        const std::complex<double> c{column / 22.0 - 2.1, row / 4.0 - 1.0};
        std::complex<double> z;
        int steps = 0;
        while (std::norm(z) < 4 && ++steps < 100) z = z * z + c;
        line += steps == 100 ? '#' : steps > 8 ? '+' : steps > 4 ? '.' : ' ';
    }
    return line + "|\n";
}
DISTWORK_REGISTER_FUNCTION(render)

int main(int argc, char** argv) {
    distwork::Program program{argc, argv};  // a process that was started as a slave ends in here
    for (const std::string& line : program.map<render>(std::views::iota(0, 9)).values()) std::cout << line;
    return program.status();
}
