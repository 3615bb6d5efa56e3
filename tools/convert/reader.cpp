#include "tools/convert/reader.hpp"

#include <sys/stat.h>

#include <bit>
#include <new>

#include "layers/hdf5_driver.hpp"
#include "tools/convert/channel.hpp"
#include "tools/convert/keras_zip.hpp"
#include "tools/convert/sandbox.hpp"
#include "tools/convert/sniff.hpp"

namespace ptrain::convert {
namespace {

constexpr int64_t kBytesPerSecond = 40 << 20;  // of processor time: far below what any machine does, compressed files included

// One tensor, piece by piece: whole rows of its first dimension.
class TensorSender {
 public:
  TensorSender(hid_t file, uint64_t file_bytes, FrameWriter& out) : file_(file), file_bytes_(file_bytes), out_(out) {}

  void send(const Route& r) {
    const SourceTensor& from = *r.from;
    const hdf5::Dataset d = hdf5::open_dataset(open_path(file_, from.path).handle, from.path);
    if (d.shape != from.shape) fail(ErrorKind::weights, "'", from.path, "' changed while it was read");
    const int64_t element = from.bfloat16 ? 2 : d.element == hdf5::Element::float16 ? 2 : d.element == hdf5::Element::float64 ? 8 : 4;
    if (d.chunk_rows > 0) hdf5::check_chunks(d.handle, from.path, d.shape, element, file_bytes_);
    out_.send(FrameType::tensor, r.to.layer + "/" + r.to.weight + " " + str(r.to.shape));
    if (as_wanted(d, r)) return out_.send(FrameType::place, Place{*d.offset, from.path}.to_bytes());
    const int64_t rows = d.shape.rank() > 0 ? d.shape[0] : 1, row = d.shape.size() / rows;
    int64_t step = std::max<int64_t>(1, int64_t(kRowsBytes) / (row * 4));
    if (d.chunk_rows > 0) step = (step + d.chunk_rows - 1) / d.chunk_rows * d.chunk_rows;  // no chunk is unpacked twice
    for (int64_t first = 0; first < rows; first += step) {
      const int64_t count = std::min(step, rows - first);
      read(d, from, first, count, count * row);
      if (!all_finite(values_)) fail(ErrorKind::weights, "'", from.path, "' holds a number that is not finite (NaN or infinity)");
      if (r.add_zeros) widen();
      send_pieces(int64_t(values_.size()) / count, count);
    }
  }

 private:
  static bool as_wanted(const hdf5::Dataset& d, const Route& r) {
    const hdf5::Handle type(H5Dget_type(d.handle), H5Tclose);
    return std::endian::native == std::endian::little && d.offset && !r.add_zeros && H5Tequal(type, H5T_IEEE_F32LE) > 0;
  }

  void read(const hdf5::Dataset& d, const SourceTensor& from, int64_t first, int64_t count, int64_t size) {
    values_.resize(size_t(size));
    if (!from.bfloat16) return hdf5::read_rows(d, from.path, first, count, H5T_NATIVE_FLOAT, values_.data());
    halves_.resize(size_t(size));
    const hdf5::Handle type(H5Dget_type(d.handle), H5Tclose);
    hdf5::read_rows(d, from.path, first, count, type, halves_.data());
    for (size_t i = 0; i < values_.size(); ++i) values_[i] = std::bit_cast<float>(uint32_t(halves_[i]) << 16);
  }

  void widen() {
    std::vector<float> two(values_.size() * 2);
    for (size_t i = 0; i < values_.size(); ++i) two[2 * i + 1] = values_[i];
    values_ = std::move(two);
  }

  void send_pieces(int64_t row, int64_t rows) {
    const int64_t step = std::max<int64_t>(1, int64_t(kRowsBytes) / (row * 4));
    for (int64_t first = 0; first < rows; first += step)
      out_.send(FrameType::rows, values_.data() + first * row, size_t(std::min(step, rows - first) * row) * sizeof(float));
  }

  hid_t file_;
  uint64_t file_bytes_;
  FrameWriter& out_;
  std::vector<float> values_;
  std::vector<uint16_t> halves_;
};

void read_file(const ReadRequest& request, const std::vector<NetLayout>& layouts, FrameWriter& out) {
  KerasZip zip;
  const bool zipped = is_zip(request.input);
  if (zipped) zip = unpack_keras(request.input, request.scratch);
  else if (request.named_keras)
    fail(ErrorKind::weights, "named .keras, but it is ", sniff(request.input), " and no zip file, as .keras files are");
  else if (const std::string other = sniff(request.input); other != kHdf5)
    fail(ErrorKind::weights, "this is ", other, ", not a Keras weight file");

  const hdf5::Session session;
  hdf5::Descriptor descriptor{.fd = zipped ? request.scratch : request.input};
  const hdf5::Handle file = hdf5::open_descriptor(descriptor);
  Source source = read_source(file);
  if (zipped) {
    source.container = ".keras (" + source.container + " inside)";
    if (!zip.keras_version.empty()) source.keras_version = zip.keras_version;
    if (auto config = nlohmann::json::parse(zip.config, nullptr, false); !config.is_discarded()) source.config = std::move(config);
  }
  const Routes routes = make_plan(layouts, source, request.options);
  int64_t bytes = 0;
  for (const Route& r : routes.routes) bytes += r.to.shape.size() * 4;
  allow_cpu(unsigned(2 + bytes / kBytesPerSecond));
  out.send(FrameType::plan, to_text(routes.plan));
  struct stat status {};
  fstat(descriptor.fd, &status);
  TensorSender sender(file, uint64_t(status.st_size), out);
  for (const Route& r : routes.routes) sender.send(r);
  out.send(FrameType::done, nullptr, 0);
}

}  // namespace

void read_stranger(const ReadRequest& request, const std::vector<NetLayout>& layouts, int pipe) {
  FrameWriter out(pipe);
  std::string refusal;
  try {
    return read_file(request, layouts, out);
  } catch (const std::bad_alloc&) {
    refusal = "reading it takes more memory than a file of this size may need";
  } catch (const std::exception& e) {
    refusal = e.what();
  }
  try {
    out.send(FrameType::refusal, refusal);
  } catch (const std::exception&) {  // the parent is gone
  }
}

}  // namespace ptrain::convert
