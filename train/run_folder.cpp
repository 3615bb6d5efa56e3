#include "train/run_folder.hpp"

#include "data/file.hpp"
#include "kernels/error.hpp"

namespace ptrain {
namespace {

const std::filesystem::path& made(const std::filesystem::path& path) {
  make_run_folder(path);
  return path;
}

LineFile log_file(const std::filesystem::path& path, bool resume) {
  return resume ? LineFile(path, [](std::string_view, size_t) { return true; }) : LineFile(path);
}

}  // namespace

void make_run_folder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) fail(ErrorKind::failed, "creating the run folder ", path.string(), ": ", error.message());
  AtomicFile probe(path / ".writable");  // gone again without commit()
  probe.write("x");
}

RunFolder::RunFolder(std::filesystem::path path, const Screen& screen, std::optional<int64_t> resume_at)
    : path_(made(path)),
      progress_(screen),
      log_(log_file(path_ / "log.txt", resume_at.has_value())),
      history_(path_ / "history.csv", resume_at),
      metrics_(path_ / "metrics.jsonl", resume_at),
      tensorboard_(path_ / "tensorboard", resume_at) {}

void RunFolder::message(const std::string& text) {
  progress_.message(text);
  log_.write(text + "\n");
}

void RunFolder::epoch(int64_t epoch, const Logs& logs, const nlohmann::ordered_json& more) {
  history_.on_epoch_end(epoch, logs);
  nlohmann::ordered_json line{{"epoch", epoch}};
  for (const auto& [name, value] : more.items()) line[name] = value;
  for (const auto& [name, value] : logs) line[name] = value;
  metrics_.write(line);
  tensorboard_.scalars(epoch, logs);
}

void RunFolder::write_text(const std::string& name, const std::string& text) const {
  AtomicFile file(path_ / name);
  file.write(text);
  file.commit();
}

}  // namespace ptrain
