// defines: LineFile, a text file that grows by whole lines and survives being cut off
#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

namespace ptrain {

// Each line goes to the file in one write, at once, so another program can follow it. A crash can tear only the last line. All errors are
// Error{failed} and name the path.
class LineFile {
 public:
  // Starts an empty file; an old one is replaced.
  explicit LineFile(std::filesystem::path path);
  // Goes on with a file, which is cut off behind the last line of those that end in '\n' and for which, from the first on, keep(line, number
  // from 0) holds. The line is given without its line end ("\n" or "\r\n"). Starts an empty file when there is none.
  using Keep = std::function<bool(std::string_view line, size_t number)>;
  LineFile(std::filesystem::path path, const Keep& keep);
  ~LineFile();
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  void write(std::string_view line);  // with its line end
  const std::filesystem::path& path() const { return path_; }

 private:
  void open(int flags);

  std::filesystem::path path_;
  int file_ = -1;
};

}  // namespace ptrain
