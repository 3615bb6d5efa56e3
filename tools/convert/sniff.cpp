#include "tools/convert/sniff.hpp"

#include <unistd.h>

#include <string_view>

namespace ptrain::convert {
namespace {

struct Mark {
  size_t offset;
  std::string_view bytes;
  const char* what;
};

using std::string_view_literals::operator""sv;

constexpr Mark kMarks[] = {
    {0, "PK\3\4"sv, "a zip file"},
    {0, "PK\5\6"sv, "an empty zip file"},
    {4, "TFL3"sv, "a TensorFlow Lite model"},
    {0, "\x93NUMPY"sv, "a NumPy array"},
    {0, "\x80\x02"sv, "a pickle (PyTorch?); only Keras files are read"},
    {0, "\x80\x04"sv, "a pickle; only Keras files are read"},
    {0, "\x1f\x8b"sv, "a gzip file; unpack it first"},
    {0, "\x28\xb5\x2f\xfd"sv, "a zstd file; unpack it first"},
    {0,
     "\xfd"
     "7zXZ"sv,
     "an xz file; unpack it first"},
    {0, "version https://git-lfs"sv, "a Git LFS pointer: the file itself was not downloaded (git lfs pull)"},
    {0, "<!DOCTYPE"sv, "a web page: the download went wrong"},
    {0, "<html"sv, "a web page: the download went wrong"},
    {8, "{\"__metadata__\""sv, "a safetensors file"},
};

}  // namespace

std::string sniff(int fd) {
  char start[(1 << 16) + 8] = {};  // a user block may be that long
  const ssize_t got = pread(fd, start, sizeof start, 0);
  const std::string_view bytes(start, got > 0 ? size_t(got) : 0);
  constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n"sv;
  for (size_t at = 0; at + kSignature.size() <= bytes.size(); at = at == 0 ? 512 : at * 2)  // after a user block of 512, 1024, … bytes
    if (bytes.compare(at, kSignature.size(), kSignature) == 0) return kHdf5;
  for (const Mark& m : kMarks)
    if (bytes.size() >= m.offset + m.bytes.size() && bytes.compare(m.offset, m.bytes.size(), m.bytes) == 0) return m.what;
  if (bytes.empty()) return "an empty file";
  const size_t text = bytes.find_first_not_of(" \t\r\n");
  if (text != bytes.npos && bytes[text] == '{')
    return bytes.find("weight_map") != bytes.npos
               ? "the index of sharded weights (.weights.json with several .h5 parts); save the model again without max_shard_size"
               : "a JSON file";
  return "something unknown";
}

}  // namespace ptrain::convert
