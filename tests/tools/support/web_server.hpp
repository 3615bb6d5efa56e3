// defines: WebServer, files over HTTP on loopback, with the troubles that downloads meet
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace ptrain::test {

class WebServer {
 public:
  explicit WebServer(const std::map<std::string, std::string>& files);  // "/path" → bytes
  ~WebServer();
  WebServer(const WebServer&) = delete;
  WebServer& operator=(const WebServer&) = delete;

  std::string url() const;
  // From now on: every answer ends after so many bytes of the file; 0: none does.
  void break_off_after(size_t bytes) { limit_ = bytes; }
  void know_ranges(bool yes) { ranges_ = yes; }
  std::vector<std::string> requests();  // "/path" or "/path from 1000", since the last call

 private:
  void serve();
  void answer(int connection);
  std::map<std::string, std::string> files_;
  std::atomic<size_t> limit_ = 0;
  std::atomic<bool> ranges_ = true;
  std::mutex lock_;
  std::vector<std::string> requests_;
  int socket_ = -1, port_ = 0;
  std::thread thread_;
};

}  // namespace ptrain::test
