#include "tools/convert/convert.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>

#include "layers/weight_file.hpp"
#include "nets/nets.hpp"
#include "nets/official_files.hpp"
#include "tools/convert/channel.hpp"
#include "tools/convert/digest.hpp"
#include "tools/convert/keras_zip.hpp"
#include "tools/convert/reader.hpp"
#include "tools/convert/sandbox.hpp"

namespace ptrain::convert {
namespace {

namespace fs = std::filesystem;
using Clock = FrameReader::Clock;

constexpr uint64_t kMiB = 1 << 20;
constexpr int64_t kCopyBytes = 512 << 10;

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  File(File&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  File& operator=(File&&) = delete;
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  operator int() const { return fd_; }

 private:
  int fd_;
};

File open_input(const fs::path& path, int64_t& bytes) {
  File file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file < 0) fail(ErrorKind::weights, std::strerror(errno));
  struct stat status {};
  if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode))
    fail(ErrorKind::weights,
         S_ISDIR(status.st_mode) ? "a folder (a TensorFlow SavedModel?); only files of Keras are read" : "not a regular file");
  bytes = status.st_size;
  return file;
}

// Room for the weights of a .keras file, without a name from the beginning; beside the output, where as much room is needed anyway.
File open_scratch(const fs::path& out) {
  const fs::path folder = out.empty() ? fs::temp_directory_path() : out.has_parent_path() ? out.parent_path() : fs::path(".");
  int fd = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) {
    std::string name = (folder / ".ptrain-convert-XXXXXX").string();
    fd = mkostemp(name.data(), O_CLOEXEC);
    if (fd >= 0) unlink(name.c_str());
  }
  if (fd < 0) fail(ErrorKind::weights, "making a temporary file in ", folder.string(), ": ", std::strerror(errno));
  return File(fd);
}

SandboxLimits limits_for(int64_t bytes, bool zipped) {
  const unsigned slow = kSanitized ? 20 : 1;
  const auto size = uint64_t(bytes);
  return {.memory_bytes = 224 * kMiB + std::min(2 * size, 800 * kMiB),
          .written_bytes = zipped ? 8192 * kMiB : 0,
          .cpu_seconds = slow * unsigned(3 + size / (zipped ? 20 * kMiB : 200 * kMiB)),
          .cpu_seconds_max = slow * 240};
}

void read_at(int fd, std::span<float> values, uint64_t offset, const std::string& what) {
  auto* to = reinterpret_cast<char*>(values.data());
  for (size_t left = values.size_bytes(); left > 0;) {
    const ssize_t got = offset > uint64_t(std::numeric_limits<off_t>::max()) ? 0 : pread(fd, to, left, off_t(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(ErrorKind::weights, "reading '", what, "': ", std::strerror(errno));
    if (got == 0) fail(ErrorKind::weights, "the file ends within '", what, "'");
    to += got, left -= size_t(got), offset += uint64_t(got);
  }
}

// The model file and its hash, which follows behind the writing.
struct Output {
  explicit Output(const fs::path& path) : file(path) {}

  void lay_out(const std::vector<PlanTensor>& tensors) {
    for (const PlanTensor& t : tensors) file.reserve_weight(t.layer, t.weight, t.shape);
    file.reserve_text("converted_sha256", 64);
    file.lay_out();
    sha256.emplace(file.fd(), FileHasher::Kind::sha256, &progress);
  }
  void rows(std::span<const float> values) {
    file.rows(values);
    progress.set(file.final_bytes());
  }
  void commit(const std::string& input_sha256, ConvertReport& r) {
    file.text("converted_sha256", input_sha256);
    progress.set(file.final_bytes());
    progress.finish();
    r.output_bytes = int64_t(file.final_bytes());
    file.commit([&] { r.output_sha256 = sha256->wait(); });
  }

  WeightFileWriter file;
  Progress progress;
  std::optional<FileHasher> sha256;
};

// The parent's side of one conversion: takes frames and trusts none of them.
class Receiver {
 public:
  Receiver(const ConvertOptions& options, const std::vector<NetLayout>& layouts, Sandbox& child, int hdf5_file)
      : options_(options),
        layouts_(layouts),
        child_(child),
        hdf5_file_(hdf5_file),
        frames_(child.pipe(), Clock::now() + std::chrono::seconds(kSanitized ? 600 : 60)) {}

  Plan plan() {
    expect(FrameType::plan);
    Plan p = plan_from_text(frames_.text());
    tensors_ = tensors_of(p, layouts_);
    int64_t bytes = 0;
    for (const PlanTensor& t : tensors_) bytes += t.shape.size() * 4;
    frames_.set_deadline(Clock::now() + std::chrono::seconds(60 + bytes / (2 << 20)));  // a slow disk may take its time
    return p;
  }
  const std::vector<PlanTensor>& tensors() const { return tensors_; }

  void receive(const PlanTensor& t, Output* to) {
    expect(FrameType::tensor);
    const std::string wanted = t.layer + "/" + t.weight + " " + str(t.shape);
    if (frames_.text() != wanted) fail(ErrorKind::weights, "the reader sent another tensor than ", wanted);
    if (to) to->file.begin_weight(t.layer, t.weight, t.shape);
    const int64_t rows = t.shape.rank() > 0 ? t.shape[0] : 1, row = t.shape.size() / rows;
    frames_.allow_rows(std::max<size_t>(kRowsBytes, size_t(row) * sizeof(float)));
    for (int64_t got = 0; got < t.shape.size(); got += int64_t(values_.size())) {
      next();
      if (got == 0 && frames_.type() == FrameType::place) return copy(rows, row, to);
      check_type(FrameType::rows);
      const std::vector<char>& data = frames_.data();
      const auto count = int64_t(data.size() / sizeof(float));
      if (count == 0 || data.size() % sizeof(float) != 0 || count % row != 0 || count > t.shape.size() - got)
        fail(ErrorKind::weights, "the reader sent no whole rows of ", wanted);
      values_.resize(size_t(count));
      std::memcpy(values_.data(), data.data(), data.size());
      take(wanted, to);
    }
  }

  void done() { expect(FrameType::done); }

 private:
  // The tensor's bytes lie in the file as they are wanted: piece by piece, so that they stay in the processor's cache.
  void copy(int64_t rows, int64_t row, Output* to) {
    const Place place = Place::from_bytes(frames_.data());
    const int64_t step = std::max<int64_t>(1, kCopyBytes / (row * int64_t(sizeof(float))));
    for (int64_t first = 0; first < rows; first += step) {
      values_.resize(size_t(std::min(step, rows - first) * row));
      read_at(hdf5_file_, values_, place.offset + uint64_t(first * row) * sizeof(float), place.name);
      take(place.name, to);
    }
  }

  void take(const std::string& name, Output* to) {
    if (!all_finite(values_)) fail(ErrorKind::weights, "'", name, "' holds a number that is not finite (NaN or infinity)");
    if (to) to->rows(values_);
  }

  void expect(FrameType type) {
    next();
    check_type(type);
  }

  void next() {
    if (!frames_.next()) {
      const bool late = frames_.late();
      const std::string why = child_.finish(late);
      fail(ErrorKind::weights, late          ? "refused: reading it took too long"
                               : why.empty() ? "refused: the reader ended early"
                                             : "refused: " + why);
    }
    if (frames_.type() == FrameType::refusal) fail(ErrorKind::weights, frames_.text());
  }

  void check_type(FrameType type) const {
    if (frames_.type() != type) fail(ErrorKind::weights, "the reader sent something out of order");
  }

  const ConvertOptions& options_;
  const std::vector<NetLayout>& layouts_;
  Sandbox& child_;
  const int hdf5_file_;
  FrameReader frames_;
  std::vector<PlanTensor> tensors_;
  std::vector<float> values_;
};

void write_attributes(WeightFileWriter& w, const ConvertOptions& o, const ConvertReport& r, const NetLayout& net) {
  const int64_t height = r.plan.height ? r.plan.height : net.input_size, width = r.plan.width ? r.plan.width : net.input_size;
  w.attribute("net", net.net);
  w.attribute("top", int64_t(net.top));
  w.attribute("input_size", std::vector<int64_t>{height, width});
  std::string preprocessing = o.preprocessing.empty() ? r.plan.preprocessing : o.preprocessing;
  if (preprocessing.empty()) preprocessing = net.preprocessing;
  preprocess_of(preprocessing);  // throws when there is none of that name
  w.attribute("preprocessing", preprocessing);
  w.attribute("converted_from", o.file.filename().string());
  w.attribute("converted_dialect", r.plan.dialect);
  if (!r.plan.keras_version.empty()) w.attribute("keras_version", r.plan.keras_version);
  if (!r.plan.head) return;
  w.attribute("head_dense", r.plan.head->units);
  w.attribute("head_dropout", r.plan.head->dropout);
  w.attribute("head_l2", r.plan.head->l2);
  w.attribute("threshold", 0.5);
  w.attribute("temperature", 1.0);
  std::vector<std::string> classes = o.classes;
  if (!classes.empty() && int64_t(classes.size()) != r.plan.head->classes)
    fail(ErrorKind::usage, "--classes names ", classes.size(), " classes, the head has ", r.plan.head->classes);
  for (int64_t i = int64_t(classes.size()); i < r.plan.head->classes; ++i) classes.push_back(concat("class_", i));
  w.attribute("classes", classes);
  w.attribute("classes_named", int64_t(!o.classes.empty()));
  w.attribute("positive_class", classes.back());
}

// "model_00000.weights.h5"
bool is_part(const fs::path& file) {
  const std::string name = file.filename().string();
  constexpr std::string_view kEnd = ".weights.h5";
  return name.size() > kEnd.size() + 6 && name.ends_with(kEnd) && name[name.size() - kEnd.size() - 6] == '_' &&
         name.find_first_not_of("0123456789", name.size() - kEnd.size() - 5) == name.size() - kEnd.size();
}

}  // namespace

ConvertReport convert(const ConvertOptions& options, const std::vector<NetLayout>& layouts) {
  const std::string asked = options.net == "auto" ? "" : find_layout(layouts, options.net).keras_net;
  try {
    ConvertReport r;
    const File input = open_input(options.file, r.input_bytes);
    std::error_code ignored;
    if (!options.out.empty() && fs::equivalent(options.file, options.out, ignored))
      fail(ErrorKind::usage, "--out would write over the file itself");
    const bool zipped = is_zip(input);
    const File scratch = zipped ? open_scratch(options.out) : File(-1);
    const ReadRequest request{.input = input,
                              .scratch = scratch,
                              .named_keras = options.file.extension() == ".keras",
                              .options = {.asked_net = asked, .allow_unused = options.allow_unused}};
    Sandbox child(limits_for(r.input_bytes, zipped), {int(input), zipped ? int(scratch) : int(input)},
                  [&](int pipe) { read_stranger(request, layouts, pipe); });
    FileHasher sha256(input, FileHasher::Kind::sha256);
    Receiver from(options, layouts, child, zipped ? scratch : input);
    r.plan = from.plan();
    const NetLayout& net = layout_of(r.plan, layouts);
    r.keras_net = net.keras_net, r.base_tensors = net.tensors.size(), r.tensors = from.tensors().size(), r.seccomp = has_seccomp();
    std::optional<FileHasher> md5;
    if (r.plan.old_names && may_be_official(net.keras_net, net.top, r.input_bytes)) md5.emplace(input, FileHasher::Kind::md5);

    std::optional<Output> out;
    if (!options.out.empty()) {
      out.emplace(options.out);
      write_attributes(out->file, options, r, net);
      out->lay_out(from.tensors());
    }
    for (const PlanTensor& t : from.tensors()) {
      from.receive(t, out ? &*out : nullptr);
      r.parameters += t.shape.size();
    }
    from.done();
    child.finish(true);
    r.input_sha256 = sha256.wait();
    if (md5) r.input_md5 = md5->wait();
    r.official = match_official(net.keras_net, net.top, r.input_md5, r.input_bytes);
    if (out) out->commit(r.input_sha256, r);
    return r;
  } catch (const Error& e) {
    if (std::string(e.what()).starts_with("saving ")) throw;
    fail(e.kind(), options.file.string(), ": ", e.what(),
         is_part(options.file) ? "\n  its name is that of one part of sharded weights; all parts are needed" : "");
  }
}

}  // namespace ptrain::convert
