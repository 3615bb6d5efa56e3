#include "data/npy.hpp"

#include <bit>
#include <charconv>
#include <string_view>

#include "kernels/error.hpp"

namespace ptrain {
namespace {

static_assert(std::endian::native == std::endian::little, "the values are written as they lie in memory");

constexpr std::string_view kMagic = "\x93NUMPY";

// The product, or −1 when it passes 2^60: more than any file holds.
int64_t product(const std::vector<int64_t>& shape) {
  int64_t n = 1;
  for (int64_t d : shape) {
    if (d < 0 || (d > 0 && n > (int64_t(1) << 60) / d)) return -1;
    n *= d;
  }
  return n;
}

std::string text_of(const std::vector<int64_t>& shape) {
  std::string text;
  for (int64_t d : shape) text += std::to_string(d) + ", ";
  if (shape.size() > 1) text.resize(text.size() - 2);
  if (shape.size() == 1) text.pop_back();
  return "(" + text + ")";
}

// The header is a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }. This reads one value of it.
std::string_view value_of(std::string_view header, std::string_view key) {
  const std::string quoted = "'" + std::string(key) + "':";
  size_t at = header.find(quoted);
  if (at == std::string_view::npos) return {};
  at += quoted.size();
  while (at < header.size() && header[at] == ' ') ++at;
  const size_t end = at < header.size() && header[at] == '('   ? header.find(')', at)
                     : at < header.size() && header[at] == '[' ? header.find(']', at)
                                                               : header.find_first_of(",}", at) - 1;
  return end >= header.size() ? std::string_view{} : header.substr(at, end + 1 - at);
}

bool parse_shape(std::string_view text, std::vector<int64_t>& shape) {
  if (text.size() < 2 || text.front() != '(' || text.back() != ')') return false;
  text = text.substr(1, text.size() - 2);
  while (!text.empty()) {
    int64_t d = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), d);
    if (error != std::errc() || d < 0) return false;
    shape.push_back(d);
    text.remove_prefix(size_t(end - text.data()));
    if (text.empty()) break;
    if (text[0] != ',') return false;
    text.remove_prefix(1);
    while (text.starts_with(' ')) text.remove_prefix(1);
  }
  return shape.size() <= 32;  // NumPy's own limit
}

}  // namespace

NpyArray read_npy(const std::filesystem::path& path) {
  const auto refuse = [&](const auto&... why) { fail(ErrorKind::data, "reading ", path.string(), ": ", why...); };
  InputFile file(path, "reading");
  const auto take = [&](int64_t count) {
    std::string text(size_t(count), '\0');
    file.read({reinterpret_cast<uint8_t*>(text.data()), text.size()});
    return text;
  };
  int64_t left = file.size() - 8;
  const std::string begin = left < 4 ? "" : take(8);
  if (!begin.starts_with(kMagic)) refuse("this is not a .npy file; save it with numpy.save");
  const int version = begin[6];
  if (version < 1 || version > 3) refuse("it is in version ", version, " of the .npy format; 1, 2 or 3 is wanted");
  int64_t length = 0;
  for (int shift = 0; char c : take(version == 1 ? 2 : 4)) length |= int64_t(uint8_t(c)) << shift, shift += 8, --left;
  if (length > left) refuse("it is cut short inside its header: ", file.size(), " bytes; copy it again");

  const std::string header = take(length);
  left -= length;
  const std::string_view type = value_of(header, "descr"), order = value_of(header, "fortran_order");
  if (type != "'<f4'") refuse("its type is ", type, "; little-endian float32 ('<f4') is wanted: numpy.save(name, x.astype('float32'))");
  if (order != "False") refuse("it is in Fortran order; C order is wanted: numpy.save(name, numpy.ascontiguousarray(x))");
  NpyArray array;
  if (!parse_shape(value_of(header, "shape"), array.shape)) refuse("its header has no legal shape; save it again with numpy.save");
  const int64_t count = product(array.shape);
  if (count < 0 || count * 4 != left)
    refuse("the shape ", text_of(array.shape), " needs ", count < 0 ? "more than any file can hold" : std::to_string(count * 4) + " bytes",
           ", the file has ", left, " behind its header; copy it again");
  array.values.resize(size_t(count));
  file.read({reinterpret_cast<uint8_t*>(array.values.data()), size_t(left)});
  return array;
}

NpyWriter::NpyWriter(const std::filesystem::path& path, const std::vector<int64_t>& shape) : file_(path), missing_(product(shape)) {
  REQUIRE_THAT(missing_ >= 0, "writing ", path.string(), ": the shape ", text_of(shape), " is not legal");
  std::string header = concat("{'descr': '<f4', 'fortran_order': False, 'shape': ", text_of(shape), ", }");
  header.append(63 - (10 + header.size()) % 64, ' ');  // the data begins at a multiple of 64
  header += '\n';
  REQUIRE_THAT(header.size() < 65536, "writing ", path.string(), ": too many dimensions");
  file_.write(concat(kMagic, '\1', '\0', char(header.size() & 0xff), char(header.size() >> 8), header));
}

void NpyWriter::append(std::span<const float> values) {
  REQUIRE_THAT(int64_t(values.size()) <= missing_, "a .npy file: ", values.size(), " values for ", missing_, " places");
  missing_ -= int64_t(values.size());
  file_.write({reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()});
}

void NpyWriter::finish() {
  REQUIRE_THAT(missing_ == 0, "a .npy file: ", missing_, " values are missing");
  file_.commit();
}

}  // namespace ptrain
