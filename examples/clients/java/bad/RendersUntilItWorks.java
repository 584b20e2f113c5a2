/** Bad: it submits a movie whose render failed until it works. Fails does-not-resubmit-failed. */
public class RendersUntilItWorks extends Client {
  private String first;

  @Override
  String poll(String job) {
    String status = super.poll(job);
    for (int attempt = 0; attempt < 4 && status.equals("failed"); attempt++) {
      status = super.poll(submit(null));
    }
    return status;
  }

  @Override
  String submit(String callbackUrl) {
    first = first == null ? title() : first;
    return submitTitled(first, callbackUrl);
  }

  public static void main(String[] arguments) throws Exception {
    main(new RendersUntilItWorks());
  }
}
