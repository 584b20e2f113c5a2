/** Bad: it goes on reading a job that has ended. Fails stops-at-terminal. */
public class PollsForEver extends Client {
  @Override
  String poll(String job) {
    String status = super.poll(job);
    for (int more = 0; more < 4; more++) {
      sleep(1);
      read(job);
    }
    return status;
  }

  public static void main(String[] arguments) throws Exception {
    main(new PollsForEver());
  }
}
