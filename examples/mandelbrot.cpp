// A picture of the Mandelbrot set, by every processor of this machine: mandelbrot [FILE [WIDTH HEIGHT]]
//
// FILE ends with .pgm, or with .png where libpng is. `mandelbrot --distwork-help` tells how slaves from elsewhere join.

#include <cereal/types/vector.hpp>
#include <complex>
#include <cstdint>
#include <distwork/program.hpp>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#ifdef EXAMPLE_HAS_PNG
#include <png.h>
#endif

/// Some rows of a picture.
struct Tile {
    int width = 0, height = 0;        // of the picture
    int first_row = 0, last_row = 0;  // the last one is not part of it

    template <class Archive>
    void serialize(Archive& archive) {
        archive(width, height, first_row, last_row);
    }
};

std::uint8_t shade(double x, double y) {
    const std::complex<double> c{x, y};
    std::complex<double> z;
    int steps = 0;
    while (steps < 255 && std::norm(z) <= 4) z = z * z + c, ++steps;
    return static_cast<std::uint8_t>(255 - steps);
}

std::vector<std::uint8_t> render(const Tile& tile) {
    std::vector<std::uint8_t> pixels;
    for (int row = tile.first_row; row < tile.last_row; ++row)
        for (int column = 0; column < tile.width; ++column)
            pixels.push_back(shade(-2.0 + 2.8 * column / tile.width, -1.2 + 2.4 * row / tile.height));
    return pixels;
}
DISTWORK_REGISTER_FUNCTION(render)

void write(const std::string& file, int width, int height, const std::vector<std::uint8_t>& pixels) {
#ifdef EXAMPLE_HAS_PNG
    if (file.ends_with(".png")) {
        png_image image{};
        image.version = PNG_IMAGE_VERSION;
        image.width = static_cast<png_uint_32>(width);
        image.height = static_cast<png_uint_32>(height);
        image.format = PNG_FORMAT_GRAY;
        if (!png_image_write_to_file(&image, file.c_str(), 0, pixels.data(), 0, nullptr))
            std::cerr << image.message << '\n';
        return;
    }
#endif
    std::ofstream to{file, std::ios::binary};
    to << "P5 " << width << ' ' << height << " 255\n";
    to.write(reinterpret_cast<const char*>(pixels.data()), static_cast<std::streamsize>(pixels.size()));
}

int main(int argc, char** argv) {
    distwork::Program program{argc, argv};  // a process that was started as a slave ends in here
    const std::string file = argc > 1 ? argv[1] : "mandelbrot.pgm";
    const int width = argc > 3 ? std::stoi(argv[2]) : 1200;
    const int height = argc > 3 ? std::stoi(argv[3]) : 1024;

    std::vector<Tile> tiles;
    for (int row = 0; row < height; row += 16) tiles.push_back({width, height, row, std::min(row + 16, height)});
    std::vector<std::uint8_t> picture(static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
    std::map<std::string, int> done;
    for (auto& tile : program.map<render>(tiles)) {  // as they complete
        const auto first = static_cast<std::size_t>(tiles[tile.index].first_row) * static_cast<std::size_t>(width);
        std::copy(tile.value().begin(), tile.value().end(), picture.begin() + static_cast<std::ptrdiff_t>(first));
        ++done[tile.slave];
    }
    write(file, width, height, picture);
    for (const auto& [slave, count] : done) std::cout << slave << ": " << count << " tiles\n";
    return program.status();
}
