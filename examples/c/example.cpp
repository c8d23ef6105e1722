// C++: plugins that free themselves, and errors as exceptions: example PLUGIN.wasm [TEXT]
#include <extism.hpp>

#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>

namespace {

std::string read_file(const std::string &path)
{
    std::ifstream file(path, std::ios::binary);
    if (!file)
        throw std::runtime_error("cannot open " + path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

} // namespace

int main(int argc, char *argv[])
try {
    if (argc < 2)
        throw std::runtime_error("usage: example PLUGIN.wasm [TEXT]");
    extism::Context context;
    extism::Plugin plugin(context, read_file(argv[1]));

    if (!plugin.has("count_vowels"))
        throw std::runtime_error(std::string(argv[1]) + " has no count_vowels");
    std::cout << plugin.call("count_vowels", argc > 2 ? argv[2] : "this is a test") << '\n';
    return 0;
} catch (const std::exception &error) {
    std::cerr << "example: " << error.what() << '\n';
    return 1;
}
